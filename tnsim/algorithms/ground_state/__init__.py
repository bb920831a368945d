"""Ground states, excited states and infinite ground states by variation."""
