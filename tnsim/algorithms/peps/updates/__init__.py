"""Evolution of PEPS gate by gate: simple, neighbourhood and full update."""
