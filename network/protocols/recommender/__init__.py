"""A recommender: users and items as factors, of which the users' never leave their owner."""
