"""Names of custom metrics."""

from bongsu.agent.collectors.custom_metrics import custom_name


def test_custom_names_cannot_collide_with_the_agents_own() -> None:
    assert custom_name("cpu_usage_ratio") == "custom_cpu_usage_ratio"
    assert custom_name("Ünïcode.Näme") == "custom_n_code_n_me"
    assert custom_name("...") == "custom_value"
