"""A name that somebody typed is kept; one that Prefect drew is not."""

import pytest

from flows.serving.run_name import is_drawn

from prefect.utilities.names import generate_slug


def test_a_name_that_the_server_draws_is_known() -> None:
    assert all(is_drawn(generate_slug(2)) for _ in range(500))


@pytest.mark.parametrize("name", ["Small-Crab", "Refined-Sable", "Handcrafted-Viper"])
def test_a_name_that_the_form_fills_in_is_known(name: str) -> None:
    assert is_drawn(name)


@pytest.mark.parametrize(
    "name", ["eta6-onnes", "delta311-barad-dur", "omega-suzuki-k", "nu79", "xi2--k"]
)
def test_a_name_that_the_form_of_the_old_ui_fills_in_is_known(name: str) -> None:
    assert is_drawn(name)


@pytest.mark.parametrize(
    "name",
    [
        "Small-Set", "alpha", "alpha-test", "beta2-run-k", "bright-field", "pox-trial",
        "second try",
        "45-data, resnext50_32x4d", "Crab", "Small-Crab 2", "dr. müller's images",
    ],
)  # fmt: skip
def test_a_name_that_somebody_typed_is_kept(name: str) -> None:
    assert not is_drawn(name)
