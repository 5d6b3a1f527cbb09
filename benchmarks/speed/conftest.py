"""Keeps what a reader needs of a run, and nothing of the machine's name or the user's."""

import platform
import sys
from typing import Any

from synthaug.core import versions


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    cpu = machine_info.get("cpu", {})
    kept = {"cpu": cpu.get("brand_raw", platform.machine()), "cores": cpu.get("count")}
    machine_info.clear()
    machine_info.update(kept, python=platform.python_version(), versions=versions())


def pytest_benchmark_update_json(
    config: Any, benchmarks: list[Any], output_json: dict[str, Any]
) -> None:
    output_json.pop("commit_info", None)
    output_json["command"] = "pytest -n 0 " + " ".join(
        argument for argument in sys.argv[1:] if argument not in ("-n", "0")
    )
    output_json["benchmarks"] = [
        {"name": each["name"], "rounds": each["stats"]["rounds"], **each["extra_info"]}
        for each in output_json["benchmarks"]
    ]
