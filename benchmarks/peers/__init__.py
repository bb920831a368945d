"""One file per engine, each with VARIANTS and `run`.

VARIANTS: the settings that can be asked for as `engine:variant`, each with a word on what it is; "" is the default.
`run(job, threads, variant) -> Measurement` is called in a process of its own, once on a tiny job, then on the real one;
it raises Unsupported where the engine cannot do the job.
"""

PACKAGES = {"tnsim": "tnsim", "tenpy": "tenpy", "block2": "pyblock2", "quimb": "quimb"}
