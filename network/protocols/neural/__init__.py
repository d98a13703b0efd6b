"""Neural networks over the rows of several teams: their shape, their training in three ways, their execution."""
