"""What the Router and the Access Points say. httpx and their spelling live here and nowhere else."""
