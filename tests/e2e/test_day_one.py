"""What a new administrator does on the first day, in English and in Korean: from the link that Bongsu prints to an alert in
the mailbox and a dashboard that somebody without an account sees. Nothing but what a person can see and click is used."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from bongsu.alerts.texts import TEXTS, Language
from tests.support.pages import SLOW_MS, choose, connection, watch
from tests.support.processes import PASSWORD, bongsu, drained, free_port, wait_for
from tests.support.repository import REPOSITORY
from tests.support.smtp import Mailbox, mail_server

# Of each step, for the manual.
SCREENSHOTS = REPOSITORY / "artifacts" / "screenshots" / "day-one"
LOCALES = REPOSITORY / "frontend" / "i18n" / "locales"
EMAIL, SECOND = "kim@example.com", "web-1"
COLLEAGUE = "lee@example.com"
SILENCE = {"en": "Backup of the web server", "ko": "웹 서버 백업"}
RULE = {"en": "CPU of the web server", "ko": "웹 서버 CPU"}


@dataclass
class Person:
    """Who sees a page in one language. ``shown``: how many steps have a screenshot."""

    page: Page
    language: Language
    shown: int = 0

    def __post_init__(self) -> None:
        self._texts = json.loads((LOCALES / f"{self.language}.json").read_text())

    def says(self, key: str, **values: str) -> str:
        """A text of the dashboard."""
        text: Any = self._texts
        for part in key.split("."):
            text = text[part]
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value)
        return str(text)

    def goes_to(self, key: str) -> None:
        """By the menu of all pages."""
        menu = self.page.get_by_role("navigation", name=self.says("nav.label"))
        menu.get_by_role("link", name=self.says(key), exact=True).click()

    def clicks(self, key: str, within: Locator | None = None) -> None:
        """A button."""
        (within or self.page).get_by_role("button", name=self.says(key), exact=True).click(timeout=SLOW_MS)

    def field(self, key: str, **values: str) -> Locator:
        """What has this label."""
        return self.page.get_by_label(self.says(key, **values), exact=True)

    def shows(self, step: str) -> None:
        """Keeps what the page looks like."""
        self.shown += 1
        folder = SCREENSHOTS / self.language
        self.page.screenshot(path=folder / f"{self.shown:02}-{step}.png", animations="disabled")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def started(tmp_path: Path) -> Iterator[str]:
    """The link of the first account, which Bongsu prints when it starts on an empty data directory."""
    nobody = {"BONGSU_ADMIN_EMAIL": "", "BONGSU_ADMIN_PASSWORD": "", "BONGSU_ALERT_INTERVAL": "1s"}
    arguments = ("up", "--port", str(free_port()), "--data-dir", str(tmp_path / "data"), "--interval", "1s")
    with bongsu(*arguments, **nobody) as process:
        lines = drained(process)
        wait_for(lambda: any("Ctrl-C stops it." in line for line in lines) or process.poll() is not None, "bongsu up")
        link = re.search(r"http\S+/setup#\S+", "".join(lines))
        assert link is not None, lines
        yield link[0]
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize(("language", "locale"), [("en", "en-GB"), ("ko", "ko-KR")])
def test_the_first_day(
    browser: Browser, started: str, mailbox: Mailbox, tmp_path: Path, language: Language, locale: str
) -> None:
    context = browser.new_context(locale=locale, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors = watch(page)
    person = Person(page, language)
    makes_the_first_account(person, started)
    with adds_a_server(person, tmp_path / "second"):
        adds_a_channel(person, mailbox)
        makes_a_rule_on_the_page_of_the_server(person)
        takes_charge_of_the_alert(person, mailbox)
        silences_alerts(person)
        link = shares_a_dashboard(person)
        lets_others_in(person)
        looks_for_keys(person)
        sees_it_without_an_account(browser, person, link, locale)
    context.close()
    assert errors == []


def makes_the_first_account(person: Person, link: str) -> None:
    page = person.page
    page.goto(link)
    person.field("login.email").fill(EMAIL, timeout=SLOW_MS)
    person.field("users.name").fill("Kim")
    person.field("login.password").fill(PASSWORD)
    person.shows("first-account")
    person.clicks("setup.action")
    # The page of this machine, and its values change.
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"\w"), timeout=SLOW_MS)
    connection(page, person.says("connection.live"))
    cpu = page.get_by_test_id("cpu-value")
    expect(cpu).to_contain_text("%", timeout=SLOW_MS)
    before = cpu.inner_text()
    expect(cpu).not_to_have_text(before, timeout=SLOW_MS)
    expect(page.get_by_role("application").first).to_be_visible(timeout=SLOW_MS)
    person.shows("this-machine")


@contextlib.contextmanager
def adds_a_server(person: Person, data: Path) -> Iterator[None]:
    """Runs the agent of the second server until the context exits."""
    page = person.page
    person.goes_to("menu.agents")
    person.clicks("agents.add")
    dialog = page.get_by_role("dialog")
    person.clicks("form.create", dialog)
    # The other lines install what is here already, or need root or Docker.
    dialog.get_by_text("pip", exact=True).click(timeout=SLOW_MS)
    line = dialog.get_by_label(person.says("agents.install")).inner_text()
    person.shows("command-for-a-server")
    command = re.search(r"BONGSU_AGENT_ENROLMENT_TOKEN=(\S+) \S+/bongsu (agent run --server \S+)$", line)
    assert command is not None, line
    settings = {"ENROLMENT_TOKEN": command[1], "NAME": SECOND, "INTERVAL": "1s", "DATA_DIR": str(data)}
    with bongsu(*command[2].split(), **{f"BONGSU_AGENT_{name}": value for name, value in settings.items()}) as agent:
        drained(agent)
        expect(dialog.get_by_text(person.says("agents.arrived"))).to_be_visible(timeout=SLOW_MS)
        person.shows("server-is-here")
        person.clicks("form.close", dialog)
        yield
        agent.terminate()
        agent.wait(60)


def adds_a_channel(person: Person, mailbox: Mailbox) -> None:
    page = person.page
    person.goes_to("nav.alerts")
    page.get_by_role("link", name=person.says("channels.title"), exact=True).click()
    person.clicks("channels.add")
    person.field("users.name").fill("Operations")
    for name, text in (
        ("host", "127.0.0.1"),
        ("port", str(mailbox.port)),
        ("sender", "bongsu@example.com"),
        ("to", EMAIL),
    ):
        person.field(f"channels.field.email.{name}").fill(text)
    choose(person.field("channels.field.email.security"), person.says("channels.choice.security.none"))
    person.shows("channel")
    person.clicks("form.save", page.get_by_role("dialog"))
    person.clicks("channels.test")
    sent = person.says("channels.sent", answer="")
    expect(page.get_by_role("status").filter(has_text=sent)).to_be_visible(timeout=SLOW_MS)
    person.shows("channel-tested")
    assert mail_of(person, mailbox, "test") is not None


def mail_of(person: Person, mailbox: Mailbox, event: str, name: str = "") -> EmailMessage | None:
    """The mail that tells this of ``name``."""
    begins = f"[{TEXTS[person.language][event]}]"
    subjects = {str(mail["Subject"]): mail for mail in mailbox.mails}
    return next((mail for subject, mail in subjects.items() if subject.startswith(begins) and name in subject), None)


def makes_a_rule_on_the_page_of_the_server(person: Person) -> None:
    page = person.page
    person.goes_to("nav.servers")
    link = page.get_by_role("link", name=SECOND, exact=True)
    expect(link).to_be_visible(timeout=SLOW_MS)
    person.shows("all-servers")
    link.click()
    expect(page.get_by_role("heading", level=1, name=SECOND)).to_be_visible(timeout=SLOW_MS)
    page.get_by_role("link", name=person.says("explorer.alert"), exact=True).click()
    expect(person.field("rules.metric")).to_have_value("cpu_usage_ratio", timeout=SLOW_MS)
    expect(person.field("silences.names")).to_have_value(SECOND)
    person.field("users.name").fill(RULE[person.language])
    # What one wants to know, and what is true at once.
    person.field("rules.value").fill("0.9")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_test_id("rule-preview")).to_contain_text("0", timeout=SLOW_MS)
    expect(dialog.get_by_text(person.says("layout.loading"))).to_have_count(0, timeout=SLOW_MS)
    person.shows("rule")
    choose(person.field("rules.functionLabel"), person.says("rules.function.last"))
    choose(person.field("rules.operator"), ">=")
    for key, text in (("window", "1m"), ("value", "0"), ("for", "0s")):
        person.field(f"rules.{key}").fill(text)
    person.clicks("form.save", dialog)
    page.get_by_role("searchbox", name=person.says("rules.search")).fill(RULE[person.language])
    expect(page.get_by_role("main").get_by_text(RULE[person.language])).to_be_visible(timeout=SLOW_MS)


def takes_charge_of_the_alert(person: Person, mailbox: Mailbox) -> None:
    page, rule = person.page, RULE[person.language]
    person.goes_to("nav.alerts")
    alert = page.get_by_role("listitem").filter(has=page.get_by_role("link", name=rule, exact=True))
    expect(alert).to_contain_text(SECOND, timeout=SLOW_MS)
    expect(alert).to_contain_text(person.says("alerts.state.firing"))
    person.shows("alert")
    mail = wait_for(lambda: mail_of(person, mailbox, "fired", rule), "the mail of the alert")
    assert mail["To"] == EMAIL
    assert SECOND in mail["Subject"]
    person.clicks("alerts.acknowledge", alert)
    person.field("alerts.comment").fill("OK")
    expect(page.get_by_role("dialog")).to_have_css("text-align", "start")
    person.shows("acknowledge")
    person.clicks("alerts.acknowledge", page.get_by_role("dialog"))
    expect(alert).to_contain_text(person.says("alerts.acknowledgedBy", name=EMAIL), timeout=SLOW_MS)
    alert.get_by_role("link", name=rule).click()
    expect(page.get_by_role("application", name=rule)).to_be_visible(timeout=SLOW_MS)
    person.shows("alert-in-detail")


def shares_a_dashboard(person: Person) -> str:
    """Returns the link."""
    page = person.page
    person.goes_to("nav.dashboards")
    person.clicks("dashboards.add")
    title = person.says("dashboards.template.linux-host.title")
    template = page.get_by_role("dialog").get_by_role("button", name=title)
    expect(template).to_be_visible(timeout=SLOW_MS)
    person.shows("templates")
    template.click()
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_role("application").first).to_be_visible(timeout=SLOW_MS)
    person.shows("dashboard")
    person.clicks("dashboards.more")
    person.clicks("shares.title")
    person.clicks("shares.add")
    person.field("users.name").fill("Team")
    person.shows("link-of-a-dashboard")
    person.clicks("form.create", page.get_by_role("dialog"))
    link = person.field("shares.linkOf", name="Team")
    expect(link).to_contain_text("http", timeout=SLOW_MS)
    person.shows("links")
    address = link.inner_text()
    person.clicks("form.close", page.get_by_role("dialog"))
    return address


def silences_alerts(person: Person) -> None:
    """Of the second server, while it is maintained every Sunday night."""
    page, comment = person.page, SILENCE[person.language]
    person.goes_to("nav.alerts")
    page.get_by_role("link", name=person.says("silences.title"), exact=True).click()
    person.clicks("silences.add")
    dialog = page.get_by_role("dialog")
    choose(person.field("silences.kindLabel"), person.says("silences.kind.maintenance"))
    choose(person.field("silences.whenLabel"), person.says("silences.when.weekly"))
    person.field("silences.names").fill(SECOND)
    person.field("silences.comment").fill(comment)
    for day in ("mon", "tue", "wed", "thu", "fri", "sat"):
        page.get_by_role("checkbox", name=person.says(f"silences.day.{day}"), exact=True).uncheck()
    person.shows("silence")
    person.clicks("form.save", dialog)
    expect(page.get_by_role("main").get_by_text(comment).first).to_be_visible(timeout=SLOW_MS)
    person.shows("silences")


def lets_others_in(person: Person) -> None:
    """A colleague and a program; the audit log has both."""
    page = person.page
    person.goes_to("menu.users")
    person.clicks("users.add")
    dialog = page.get_by_role("dialog")
    person.field("login.email").fill(COLLEAGUE)
    person.field("users.name").fill("Lee")
    choose(person.field("users.role"), f"{person.says('role.operator')}: {person.says('roleText.operator')}")
    person.field("login.password").fill(PASSWORD)
    person.shows("user")
    person.clicks("form.save", dialog)
    expect(page.get_by_role("main").get_by_text(COLLEAGUE)).to_be_visible(timeout=SLOW_MS)
    person.goes_to("menu.tokens")
    person.clicks("tokens.add")
    person.field("users.name").fill("Grafana")
    person.shows("token")
    person.clicks("form.create", dialog)
    expect(dialog).to_contain_text("bongsu_api_", timeout=SLOW_MS)
    person.clicks("form.close", dialog)
    person.goes_to("menu.audit")
    expect(page.get_by_role("main")).to_contain_text(COLLEAGUE, timeout=SLOW_MS)
    person.shows("audit-log")


def looks_for_keys(person: Person) -> None:
    person.page.keyboard.press("?")
    expect(person.page.get_by_role("dialog")).to_contain_text(person.says("shortcuts.palette"))
    person.shows("keys")
    person.clicks("form.close", person.page.get_by_role("dialog"))


def sees_it_without_an_account(browser: Browser, person: Person, link: str, locale: str) -> None:
    """In another browser, as far as cookies go."""
    context = browser.new_context(locale=locale, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors = watch(page)
    page.goto(link)
    title = person.says("dashboards.template.linux-host.title")
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_role("application").first).to_be_visible(timeout=SLOW_MS)
    Person(page, person.language, person.shown).shows("seen-by-others")
    assert page.evaluate("() => fetch('/api/servers').then(answer => answer.status)") == 401
    context.close()
    # The question for servers, above.
    assert [error for error in errors if "/api/servers" not in error] == []
