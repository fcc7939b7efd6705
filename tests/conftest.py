"""For all tests."""

from hypothesis import settings

# A busy machine is no failure: pytest's own time limit is enough.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
