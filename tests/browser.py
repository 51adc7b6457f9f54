"""What a page in a real browser must hold: accessible, and usable on a phone."""

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

WCAG = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]


def check_accessible(page: Page) -> None:
    """Asserts that axe-core finds nothing against WCAG 2.2 AA."""
    # Our CSP lets no foreign script element in; evaluate goes through the debugger, which it does not bind.
    page.evaluate(AXE_SCRIPT)
    violations = page.evaluate(
        "async (tags) => (await axe.run(document, {runOnly: {type: 'tag', values: tags}})).violations", WCAG
    )
    lines = [
        f"{violation['id']}: {violation['help']}\n    {node['html']}\n    {node['failureSummary']}"
        for violation in violations
        for node in violation["nodes"]
    ]
    assert not lines, f"{page.url} is not accessible:\n" + "\n".join(lines)


def check_narrow(page: Page, width: int = 375) -> None:
    """Asserts that the page needs no scrolling to the side at this width. Leaves the page at its old size."""
    before = page.viewport_size
    page.set_viewport_size({"width": width, "height": 800})
    wide = page.evaluate(
        """() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
            [...document.querySelectorAll("body *")]
                .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
                .map((element) => element.outerHTML.slice(0, 120))"""
    )
    assert not wide, f"{page.url} scrolls to the side at {width} px because of:\n" + "\n".join(wide)
    if before:
        page.set_viewport_size(before)


def check_page(page: Page) -> None:
    """Both of the above."""
    check_accessible(page)
    check_narrow(page)
