"""Settings of all tests."""

from hypothesis import settings

# A deadline would measure the machine: on a busy one, an example takes longer now and then.
settings.register_profile("bongsu", settings(deadline=None))
settings.load_profile("bongsu")
