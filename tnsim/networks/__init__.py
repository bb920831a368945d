"""Sites, operators and tensor networks on chains."""
