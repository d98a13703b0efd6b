"""What we remember. SQLModel, SQLAlchemy and SQL live here and nowhere else."""
