"""What is kept after an answer: for a while, within a budget, for whoever was given the address."""

import time

import pytest

from tomos.serve.metrics import server_metrics
from tomos.serve.refusal import Refusal
from tomos.serve.results import Product, Results

pytestmark = pytest.mark.fast


def kept(results: Results, size: int) -> str:
    """The key of a result of `size` bytes."""
    address = results.keep({"mask.nii.gz": Product(b"x" * size, "application/gzip", "m")})
    return address["mask.nii.gz"].split("/")[-2]


def test_a_result_is_found_by_its_address_only():
    results = Results(100, 60, server_metrics())
    addresses = results.keep({"a": Product(b"1", "t/a", "a"), "b": Product(b"22", "t/b", "b")})
    _, api, room, key, name = addresses["b"].split("/")
    assert (api, room, name) == ("api", "results", "b")
    assert results.get(key, "b").content == b"22"
    assert len(key) >= 24
    for other in ((key, "c"), (key[:-1], "b"), ("", "")):
        with pytest.raises(Refusal, match="kept for 1 minutes") as refused:
            results.get(*other)
        assert refused.value.status == 404


def test_the_oldest_goes_when_the_budget_is_full():
    results = Results(100, 60, server_metrics())
    first, second, third = (kept(results, 40) for _ in range(3))
    with pytest.raises(Refusal):
        results.get(first, "mask.nii.gz")
    assert results.get(second, "mask.nii.gz") and results.get(third, "mask.nii.gz")


def test_what_is_larger_than_the_budget_is_not_kept():
    results = Results(100, 60, server_metrics())
    small = Product(b"x", "t", "small")
    addresses = results.keep({"small": small, "large": Product(b"x" * 100, "t", "large")})
    assert list(addresses) == ["small"]
    assert results.keep({"large": Product(b"x" * 101, "t", "large")}) == {}


def test_a_result_goes_by_itself_and_its_memory_with_it():
    metrics = server_metrics()
    results = Results(100, 0.05, metrics)
    key = kept(results, 40)
    assert "tomos_results_bytes 40" in metrics.text()
    deadline = time.monotonic() + 5
    while "tomos_results_bytes 0" not in metrics.text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(Refusal):
        results.get(key, "mask.nii.gz")


def test_a_result_can_be_let_go_before():
    results = Results(100, 60, server_metrics())
    first, second = kept(results, 10), kept(results, 10)
    results.forget(first)
    results.forget("unknown")
    with pytest.raises(Refusal):
        results.get(first, "mask.nii.gz")
    assert results.get(second, "mask.nii.gz")


def test_any_name_can_stand_in_a_header():
    given = Product(b"", "t", '肝 "a";\n.nii.gz').disposition
    assert given.isascii() and "\n" not in given
    assert given.count('"') == 2
    assert given.endswith("filename*=UTF-8''%E8%82%9D%20%22a%22%3B%0A.nii.gz")
