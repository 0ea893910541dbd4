"""What people of the sandbox are called, what they ask, and what they are told. Invented; data and pure functions."""

from __future__ import annotations

import re

import msgspec

from console.sandbox.dice import Dice

FIRST = (
    "ada amir anna bruno carla chen dana diego elif emil farah felix grace hana ibrahim ines ivan jana jonas "
    "kemal lara leo linh maya milan mina nadia niko noor olga omar paula pavel priya quinn rosa sami selma sofia "
    "tariq theo uma vera viktor wanda yara yuki zoe"
).split()
LAST = (
    "abe adler bauer becker blum costa dahl diaz ekberg fabian fischer haas hoang ito jansen kaya keller kim "
    "kovacs lang lopez marin mbeki moreau nagy novak okafor ortiz park patel petrov quist rao reyes rossi sato "
    "schmid silva soto tanaka tran ueda vogt weber winter xu yilmaz zhang"
).split()
PROJECTS = ("checkout", "search", "billing-etl", "mobile-app", "infra", "docs", "data-lake", "support-desk")
COUNTRIES = ("DE", "US", "BR", "IN", "JP", "NG", "FR", "TR", "PL", "VN")

TOPICS = (
    "fix-login flaky-tests invoice-export tokenizer retry-logic dark-mode rate-limits csv-import cache-keys "
    "onboarding-mail slow-query webhooks date-picker crash-on-resume error-budget api-docs tax-rules image-resize "
    "feature-flags audit-trail s3-cleanup push-messages search-ranking cold-start schema-drift"
).split()
"""What a session is about, when the house chooses the model."""
NAMED_TOPICS = (
    "architecture-review release-notes incident-2214 quarterly-report contract-summary load-forecast "
    "threat-model churn-analysis migration-plan price-simulation data-dictionary root-cause roadmap-draft "
    "interview-notes capacity-plan"
).split()
"""What a session is about, when its user names the model."""

_PLACES: dict[str, tuple[str, ...]] = {
    "file": (
        "src/auth/session.ts",
        "app/models/invoice.py",
        "internal/queue/worker.go",
        "web/cart/total.tsx",
        "lib/retry.rb",
        "services/search/rank.rs",
        "jobs/nightly_export.py",
        "android/ui/Login.kt",
        "terraform/network.tf",
        "docs/api/errors.md",
    ),
    "test": ("test_login_expires", "test_totals_round_half_up", "TestWorkerDrains", "resume_after_crash"),
    "symbol": (
        "refreshToken",
        "Invoice.total",
        "drain()",
        "useCart",
        "with_backoff",
        "rank_documents",
        "resize_to",
    ),
    "ticket": ("PAY-1182", "SRCH-407", "OPS-93", "APP-2210", "DATA-655", "SUP-3041"),
    "table": ("orders", "invoices", "sessions", "events_2024", "customers", "price_rules"),
    "column": ("created_at", "customer_id", "status", "total_cents", "country"),
    "concern": (
        "race conditions",
        "leaked connections",
        "time zones",
        "rounding",
        "missing indexes",
        "unbounded retries",
    ),
    "customer": ("Nordlicht AG", "Blue Kite Ltd", "Casa Verde", "Hanami Foods", "Baltic Freight"),
    "number": ("3", "12", "27", "140", "1,900", "48,200"),
}

PROMPTS = (
    "Review {file} for {concern} and propose a minimal fix.",
    "Why does {test} fail every third run on CI?",
    "{ticket}: {customer} reports a wrong total. Find out where {symbol} goes wrong.",
    "Write a migration that adds an index on {table}.{column} without locking the table.",
    "Explain what {symbol} in {file} does, in two paragraphs.",
    "Which {number} rows of {table} have no {column}? Show the query first.",
    "Summarise {ticket} for {customer}, without internal names.",
    "Rename {symbol} everywhere and keep the old name as an alias for one release.",
    "Draft the release note for {ticket}; mention {concern}.",
    "Turn the loop in {file} into a batch job that can be resumed.",
    "How many orders of {customer} are still open? Use {table}.",
    "Add a test for {concern} in {file}.",
)
SENTENCES = (
    "The cause is in {file}: {symbol} reads {table}.{column} before the transaction has been committed.",
    "I ran {test} {number} times; it fails only when two workers start in the same second.",
    "The smallest change is to move the check for {concern} in front of {symbol}.",
    "There are {number} rows in {table} without {column}, all of them from before the last migration.",
    "For {customer} nothing changes, apart from the total that is now rounded once instead of twice.",
    "I kept {symbol} as it is and added a guard, because {ticket} depends on the present order.",
    "The index on {table}.{column} is built concurrently, so that writes go on.",
    "What is still open: {concern} in {file}, and a decision on {ticket}.",
    "The second call is not needed; its result is thrown away in {symbol}.",
    "I would ship this behind a flag and watch {number} requests before turning it on for {customer}.",
    "A retry without a limit turns one slow answer into {number}, which is what {ticket} describes.",
    "All tests in {file} pass now, {test} included.",
)
THOUGHTS = (
    "Let me look at where {symbol} is called from.",
    "If {concern} were the reason, {test} would fail every time.",
    "The numbers in {table} do not add up; check {column} first.",
    "Two ways to do it; the one that touches {file} alone is safer.",
)
TOOLS: tuple[tuple[str, str, str], ...] = (
    # name, arguments, what comes back
    ("read_file", '{{"path":"{file}"}}', "{number} lines; {symbol} is defined at the top and called once."),
    ("run_tests", '{{"select":"{test}"}}', "{number} passed, 1 failed: {test}"),
    ("search_code", '{{"query":"{symbol}"}}', "{number} hits, most of them in {file}"),
    ("query_db", '{{"sql":"SELECT count(*) FROM {table} WHERE {column} IS NULL"}}', "count: {number}"),
    ("open_ticket", '{{"id":"{ticket}"}}', "{ticket} ({customer}): something about {concern}."),
)
SPAM = "Repeat the word coupon until you run out of space."

_SLOT = re.compile(r"\{(\w+)\}")


class ToolUse(msgspec.Struct, frozen=True):
    """A call of a tool: its name, its arguments as JSON, and what it gives back."""

    name: str
    arguments: str
    result: str


def user_name(number: int) -> str:
    """The person's user id; different for different numbers."""
    first, rest = number % len(FIRST), number // len(FIRST)
    last, round_ = (rest + first * 7) % len(LAST), rest // len(LAST)
    return f"{FIRST[first]}.{LAST[last]}{round_ + 1 if round_ else ''}"


def filled(template: str, dice: Dice) -> str:
    """The text with a word in each of its places."""
    return (
        _SLOT.sub(lambda place: dice.pick(_PLACES[place[1]]), template).replace("{{", "{").replace("}}", "}")
    )


def prompt(dice: Dice) -> str:
    """Something to ask."""
    return filled(dice.pick(PROMPTS), dice)


def answer(dice: Dice, words: int) -> str:
    """About so many words to tell."""
    sentences: list[str] = []
    while words > 0:
        sentences.append(filled(dice.pick(SENTENCES), dice))
        words -= len(sentences[-1].split(" "))
    return " ".join(sentences)


def thought(dice: Dice) -> str:
    """A line of reasoning."""
    return filled(dice.pick(THOUGHTS), dice)


def tool_use(dice: Dice) -> ToolUse:
    """A tool that is called, and what it says."""
    name, arguments, result = dice.pick(TOOLS)
    return ToolUse(name, filled(arguments, dice), filled(result, dice))
