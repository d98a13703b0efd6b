"""How programs ask. FastAPI and sse-starlette live here and nowhere else."""
