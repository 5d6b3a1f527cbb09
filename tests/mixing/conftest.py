from pathlib import Path

import pytest
from mixing_images import FORMS, Form, make_pool

from synthaug.pool import SamplePool


@pytest.fixture(params=FORMS, ids=lambda name: name.replace(" ", "-"))
def form(request: pytest.FixtureRequest) -> Form:
    return FORMS[request.param]


@pytest.fixture
def pool(form: Form, tmp_path: Path) -> SamplePool:
    return make_pool(tmp_path, form.channels, form.dtype)


@pytest.fixture
def gray(tmp_path: Path) -> SamplePool:
    return make_pool(tmp_path)
