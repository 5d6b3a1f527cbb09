"""What all tests share."""

from hypothesis import HealthCheck, settings

# The same examples each time, however long they take on a machine that has other things to do.
settings.register_profile(
    "synthaug", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("synthaug")
