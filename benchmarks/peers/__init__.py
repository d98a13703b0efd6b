"""The gateway beside programs that keep a history of jobs, too. `make bench-peers` installs them and runs these."""
