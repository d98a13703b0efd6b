"""How hypothesis draws here."""

from hypothesis import settings

# A busy machine is no failure: what may not take long says so with a timeout of its own.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
