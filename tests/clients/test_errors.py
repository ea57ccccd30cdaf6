"""Both official clients know every error by its class, and read its body."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CLASSES = {
    400: "BadRequestException", 401: "UnauthorizedException", 403: "ForbiddenException", 404: "NotFoundException",
    409: "ConflictException", 422: "UnprocessableEntityException", 500: "ServiceException", 503: "ServiceException",
    507: "ServiceException",
}  # fmt: skip


@pytest.mark.parametrize("store", ["memory"])
def test_every_error_has_its_class_and_its_body(python: Path, url: str) -> None:
    done = subprocess.run(
        [python, HERE / "failing.py", url], capture_output=True, check=False, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    assert [line["status"] for line in lines] == [
        404, 422, 403, 409, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503, 507,
    ]  # fmt: skip
    for line in lines:
        assert line["class"] == CLASSES.get(line["status"], "ApiException"), line
        assert line["body"]["error"]["message"] == line["body"]["errorMessage"]
        assert line["body"]["errorNum"] == line["status"]
        if line["read"] is not None:
            assert line["read"]["error"] == line["body"]["error"]
            assert line["read"]["code"] == line["status"]
    assert [line["status"] for line in lines if line["read"] is not None] != []
