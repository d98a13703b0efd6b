"""An Access Point: the data of one team, and the processes that compute on it."""
