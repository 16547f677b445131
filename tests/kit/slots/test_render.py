"""Slots and pages of the real build, on a real host, in a real browser."""

from __future__ import annotations

import re

import pytest

from recyclic.core.module_base import ModuleBase
from recyclic.testing import KitError, TraceError
from recyclic.testing.slots import ViewError

pytestmark = [pytest.mark.slow, pytest.mark.modules("caisse", "paheko")]

PANEL = "paheko/SaleDetailsPanel"


class BarcodesModule(ModuleBase):
    """Puts its component, which is in the build, beside Paheko's."""

    async def startup(self, app, config):
        pass

    async def shutdown(self):
        pass

    def register_ui_extensions(self):
        return {"sale_details": ["ScanEntry"]}


def test_panel_is_drawn_for_a_ticket_that_was_sold(ui_host, paheko_server, sale):
    slot = ui_host.render("sale_details", sale_id=sale.id)
    assert slot.extensions == [PANEL]
    panel = slot.extension(PANEL)
    assert panel.state == "ready"
    panel.shows(role="button", name="Synchroniser").shows(text=re.compile(f"session-{sale.session_id}"))
    panel.matches_aria("""
      - region "Écriture Paheko":
        - heading "Écriture Paheko"
        - button "Synchroniser"
    """)
    assert slot.api_calls == [
        ("GET", f"/api/modules/caisse/tickets/{sale.id}"),
        ("GET", f"/api/modules/paheko/sessions/{sale.session_id}"),
    ]
    slot.lacks(role="heading", name="Vente")
    assert "Synchroniser" in slot.aria
    assert "Écriture Paheko" in slot.text


def test_a_click_is_on_the_bus_when_the_act_ends(ui_host, paheko_server, sale):
    slot = ui_host.render("sale_details", sale_id=sale.id)
    with ui_host.act("synchronise") as trace:
        slot.click(role="button", name="Synchroniser")
    trace.emitted("sync_requested", session_id=sale.session_id).once()
    trace.consumed("sync_requested", by="paheko").ok(attempts=1)
    trace.nothing_else()
    slot.shows(text="Synchronisation demandée")


def test_a_chain_of_causes_begins_at_the_click(ui_host, paheko_server, sale):
    slot = ui_host.render("sale_details", sale_id=sale.id)
    ask = f"fetch('/api/modules/paheko/sessions/{sale.session_id}/sync', {{ method: 'POST' }})"
    with ui_host.act("synchronise") as trace:
        slot.click(role="button", name="Synchroniser")
    click = trace.clicked("Synchroniser").once()
    trace.emitted("sync_requested").caused_by(click)
    lines = str(trace).splitlines()
    first = lines.index("  +0 s      click button named 'Synchroniser' in sale_details (fr)")
    assert f"  +0 s        POST /api/modules/paheko/sessions/{sale.session_id}/sync → 202" in lines[first:]
    assert any(line.startswith("  +0 s          paheko emitted sync_requested") for line in lines[first:])
    with pytest.raises(TraceError, match=r"^a click with 'Clore' was not made; done were:\n  click button named 'Sync"):
        trace.clicked("Clore")
    with ui_host.act("without a click") as after:
        slot.do(lambda page: page.evaluate(ask))
    with pytest.raises(TraceError, match=r"^sync_requested was not caused by click button named 'Synchroniser'"):
        after.emitted("sync_requested").caused_by(click)


def test_an_act_waits_for_what_a_page_has_begun(ui_host, paheko_server, sale):
    slot = ui_host.render("sale_details", sale_id=sale.id)

    async def hold(route) -> None:
        """Let twenty frames pass before the host hears of it."""
        for _ in range(20):
            await route.request.frame.evaluate("() => new Promise(requestAnimationFrame)")
        await route.continue_()

    slot.do(lambda page: page.route("**/sync", hold))
    ask = f"void fetch('/api/modules/paheko/sessions/{sale.session_id}/sync', {{ method: 'POST' }})"
    with ui_host.act() as trace:
        slot.do(lambda page: page.evaluate(ask))
    trace.emitted("sync_requested").once()


def test_what_accounting_writes_is_seen_on_the_page(ui_host, paheko_server, sale):
    with ui_host.act("close the till") as trace:
        ui_host.http.post(
            f"/api/modules/caisse/sessions/{sale.session_id}/close", json={"counted_cash_cents": 5_500}
        ).raise_for_status()
    trace.emitted("entry_written", session_id=sale.session_id).once()
    page = ui_host.open(sale.page)
    page.extension(PANEL).shows(text="Écrite", exact=True)


@pytest.mark.parametrize("fault", ["throw", "chunk", "hang", "http:500", "http:404"])
def test_the_page_survives_a_broken_extension(ui_host, paheko_server, sale, fault):
    page = ui_host.open(sale.page, fault={PANEL: fault})
    page.shows(role="heading", name="Vente").shows(text="Chaise")
    panel = page.extension(PANEL)
    assert panel.state == ("loading" if fault == "hang" else "error")
    panel.shows(text="Paheko Sync").lacks(role="button", name="Synchroniser")
    page.no_uncaught_errors()


@pytest.mark.modules("caisse", "paheko", BarcodesModule)
@pytest.mark.parametrize(("fault", "state"), [("throw", "error"), ("hang", "loading")])
def test_a_broken_extension_leaves_its_sibling(ui_host, paheko_server, sale, fault, state):
    slot = ui_host.render("sale_details", sale_id=sale.id, fault={PANEL: fault})
    assert sorted(slot.extensions) == ["barcodes/ScanEntry", PANEL]
    slot.extension("barcodes/ScanEntry").shows(role="textbox")
    assert slot.extension("barcodes/ScanEntry").state == "ready"
    assert slot.extension(PANEL).state == state


def test_english(ui_host, paheko_server, sale):
    slot = ui_host.render("sale_details", locale="en", sale_id=sale.id)
    slot.shows(role="button", name="Sync now").lacks(role="button", name="Synchroniser")
    ui_host.open(sale.page, locale="en").shows(role="button", name="Sync now")


@pytest.mark.modules("caisse")
def test_a_module_that_is_not_booted_draws_nothing(ui_host, sale):
    slot = ui_host.render("sale_details", sale_id=sale.id)
    assert slot.extensions == []
    with pytest.raises(ViewError, match=r"has no extension paheko/SaleDetailsPanel; it has: none"):
        slot.extension(PANEL)


@pytest.mark.parametrize(
    ("user", "drawn"),
    [
        ("administrator", [PANEL]),
        ({"caisse": "read", "accounting": "read"}, [PANEL]),
        ({"caisse": "write"}, []),
        ({}, []),
        ("anonymous", []),
    ],
)
def test_the_user_sees_what_is_theirs(ui_host, paheko_server, sale, user, drawn):
    assert ui_host.render("sale_details", user=user, sale_id=sale.id).extensions == drawn


@pytest.mark.modules("caisse", "barcodes")
def test_fields_are_filled_and_keys_pressed(ui_host):
    label = {"label": "Lampe", "price_cents": 700}
    made = ui_host.http.post("/api/modules/barcodes/labels", json=label).raise_for_status().json()
    slot = ui_host.render("sale_item_entry", session_id="any")
    entry = slot.extension("barcodes/ScanEntry")
    entry.fill(made["code"], role="textbox").press("Enter").shows(text="Lampe")
    assert slot.api_calls == [("GET", f"/api/modules/barcodes/labels/{made['code']}")]


def test_any_playwright_call_is_within_reach(ui_host, sale):
    page = ui_host.open(sale.page, viewport=(360, 640))
    assert page.do(lambda page: page.evaluate("innerWidth")) == 360
    assert page.do(lambda page: page.url).endswith(sale.page)


def test_the_host_is_within_reach(ui_host):
    assert ui_host.run(lambda: ui_host.host.app.state.config.test_mode) is True
    users = [user.name for user in ui_host.run(ui_host.host.app.state.auth.users)]
    assert isinstance(users, list)
    assert ui_host.anonymous.get("/api/modules/caisse/registers").status_code == 401
    assert ui_host.as_user(caisse="read").get("/api/modules/caisse/registers").status_code == 200


class TestMistakes:
    """What an author gets wrong is told before a browser is asked."""

    def test_slot_that_nobody_offers(self, ui_host):
        with pytest.raises(
            KitError, match=r"no booted module offers the slot 'sale_detail' \(did you mean 'sale_details'"
        ):
            ui_host.render("sale_detail", sale_id="1")

    def test_context_that_the_slot_does_not_hand_over(self, ui_host):
        with pytest.raises(KitError, match=r"hands over sale_id: string; sale_id is missing, it hands over no sale$"):
            ui_host.render("sale_details", sale="1")

    def test_extension_that_is_not_in_the_build(self, ui_host):
        with pytest.raises(KitError, match=r"no extension 'paheko/SaleDetailPanel' is in this build \(did you mean"):
            ui_host.open("/", fault={"paheko/SaleDetailPanel": "throw"})

    @pytest.mark.parametrize("fault", ["explode", "http:200", "http:", "http:abc", "throw:now", ""])
    def test_fault_that_there_is_not(self, ui_host, fault):
        with pytest.raises(KitError, match=r"unknown fault .* use throw, chunk, hang, http:<status>"):
            ui_host.open("/", fault={PANEL: fault})

    def test_path_without_its_slash(self, ui_host):
        with pytest.raises(KitError, match="a path begins with a slash"):
            ui_host.open("modules/caisse")

    def test_element_without_a_description(self, ui_host, sale):
        slot = ui_host.render("sale_details", sale_id=sale.id)
        with pytest.raises(KitError, match="say which element"):
            slot.shows()
        with pytest.raises(KitError, match="a name needs a role"):
            slot.click(name="Synchroniser")

    def test_level_that_there_is_not(self, ui_host):
        with pytest.raises(KitError, match="no such section"):
            ui_host.open("/", user={"accounts": "read"})


class TestFailures:
    """A failure says what was wanted and what is there instead."""

    def test_element_that_does_not_come(self, ui_host, paheko_server, sale, impatient):
        slot = ui_host.render("sale_details", sale_id=sale.id)
        impatient()
        with pytest.raises(ViewError) as failure:
            slot.extension(PANEL).shows(role="button", name="Envoyer")
        lines = str(failure.value).splitlines()
        assert lines[0] == "paheko/SaleDetailsPanel in sale_details (fr) does not show button named 'Envoyer'"
        assert "there is:" in lines
        assert '    - button "Synchroniser"' in lines
        assert f"  GET /api/modules/caisse/tickets/{sale.id} 200" in lines
        assert "Playwright says:" in lines

    def test_element_that_should_not_be_there(self, ui_host, paheko_server, sale, impatient):
        slot = ui_host.render("sale_details", sale_id=sale.id)
        impatient()
        with pytest.raises(ViewError, match=r"^sale_details \(fr\) shows button named 'Synchroniser'"):
            slot.lacks(role="button", name="Synchroniser")

    def test_click_on_what_is_not_there(self, ui_host, paheko_server, sale, impatient):
        slot = ui_host.render("sale_details", sale_id=sale.id)
        impatient()
        with pytest.raises(ViewError, match=r"does not let an element with the text 'Envoyer' be clicked"):
            slot.click(text="Envoyer")

    def test_snapshot_that_differs(self, ui_host, paheko_server, sale, impatient):
        slot = ui_host.render("sale_details", sale_id=sale.id)
        impatient()
        with pytest.raises(ViewError, match="does not match the snapshot"):
            slot.matches_aria('- button "Envoyer"')

    def test_error_that_nothing_caught(self, ui_host, sale):
        page = ui_host.open("/", expect_errors=True)
        page.do(lambda page: page.evaluate("new Promise((go) => setTimeout(() => { go(); throw Error('lost') }))"))
        with pytest.raises(ViewError, match=r"has uncaught errors:\n.*lost"):
            page.settle().no_uncaught_errors()
        page.no_uncaught_errors()

    def test_page_that_never_rests(self, ui_host, paheko_server, sale, impatient):
        page = ui_host.open(sale.page)
        impatient()
        page.do(lambda page: page.route("**/api/never", lambda _route: None))
        page.do(lambda page: page.evaluate("void fetch('/api/never')"))
        with pytest.raises(ViewError, match=r"did not come to rest in 0.5 seconds; outstanding:\n.*GET /api/never"):
            page.settle()

    def test_nothing_outside_can_be_reached(self, ui_host):
        page = ui_host.open("/")
        reached = page.do(lambda page: page.evaluate("fetch('https://example.org').then(() => 'yes', () => 'no')"))
        assert reached == "no"
