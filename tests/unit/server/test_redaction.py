"""What is hidden from those who see a shared dashboard."""

import pytest

from bongsu.server.dashboards.redaction import Redactor

NAMES = {1: "web-1", 2: "web-10", 3: "db.example.com", 4: "10.0.0.7", 5: "Mail (old)", 6: "서버-가"}
SECRET = b"a secret"


def redactor(*what: str) -> Redactor:
    return Redactor(what, NAMES, SECRET)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("web-1 is slow", "server-1 is slow"),
        ("WEB-10 and web-1, not web-100", "server-2 and server-1, not web-100"),
        ("db.example.com:5432", "server-3:5432"),
        ("see db", "see server-3"),
        ("database", "database"),
        ("at 10.0.0.7", "at server-4"),
        ("10 of 12", "10 of 12"),
        ("web-1.", "server-1."),
        ("web-1.internal, www.web-1", "server-1.internal, www.server-1"),
        ("web-1-backup and my-web-1", "web-1-backup and my-web-1"),
        ("web-1:9100/web-10", "server-1:9100/server-2"),
        ("mail (old) is slow", "server-5 is slow"),
        ("서버-가 느림", "server-6 느림"),
        ("a...b. -- .", "a...b. -- ."),
        ("a." * 20_000 + "web-1", "a." * 20_000 + "server-1"),
        ("", ""),
    ],
)
def test_host_names_are_whole_words(text: str, hidden: str) -> None:
    assert redactor("hosts").text(text) == hidden
    assert redactor().text(text) == text


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "2001:db8::17", "fe80::1", "::1", "52:54:00:ab:cd:ef", "52-54-00-AB-CD-EF"]
)
def test_addresses_are_hidden_wherever_they_are(address: str) -> None:
    hidden = redactor("addresses").text(f"from {address}, twice {address}")
    assert address not in hidden
    first, second = hidden.removeprefix("from ").split(", twice ")
    assert first == second
    assert first.startswith("address-")


def test_a_port_stays_beside_a_hidden_address() -> None:
    hidden = redactor("addresses").label("instance", "10.1.2.3:9100")
    assert (hidden[:8], hidden[-5:]) == ("address-", ":9100")


@pytest.mark.parametrize("text", ["at 12:30:45", "version 1.2.3", "999.1.2.3", "1.2.3.4.5", "10:20", "a::b::c", "::"])
def test_what_is_no_address_stays(text: str) -> None:
    assert redactor("addresses").text(text) == text


def test_mount_points_are_hidden_but_for_the_root() -> None:
    hide = redactor("mountpoints")
    assert hide.label("mountpoint", "/") == "/"
    hidden = hide.label("mountpoint", "/srv/customer")
    assert hidden.startswith("mountpoint-")
    assert hide.label("mountpoint", "/srv/customer") == hidden != hide.label("mountpoint", "/srv/other")
    assert "customer" not in hide.label("device", "/dev/mapper/customer-data")
    assert (hide.label("device", "eth0"), hide.label("path", "/srv/customer")) == ("eth0", "/srv/customer")
    assert hide.series('fs{fstype="ext4",mountpoint="/srv/customer"}') == f'fs{{fstype="ext4",mountpoint="{hidden}"}}'


def test_of_a_series_that_cannot_be_read_only_the_metric_is_shown() -> None:
    hide = redactor("mountpoints")
    assert hide.series('fs{mountpoint="/srv/a"customer"}') == "fs"
    assert hide.series('fs{mountpoint="/srv/a",b="x",customer="y"z"}') == "fs"
    assert (hide.series("load_1m"), hide.series("")) == ("load_1m", "")


def test_the_same_is_called_otherwise_in_another_installation() -> None:
    other = Redactor(["addresses"], NAMES, b"another secret")
    assert other.text("10.1.2.3") != redactor("addresses").text("10.1.2.3")


def test_all_labels_of_a_document_are_hidden() -> None:
    document = {"series": [{"labels": {"mountpoint": "/srv", "host": "web-1"}, "times": [1, 2]}], "labels": "text"}
    redactor("hosts", "mountpoints").all_labels(document)
    labels = document["series"][0]["labels"]  # type: ignore[index]
    assert labels["host"] == "server-1"
    assert labels["mountpoint"].startswith("mountpoint-")
    assert document["labels"] == "text"
