"""One file per engine; each has `run(job, threads) -> dict` and is started in a process of its own."""
