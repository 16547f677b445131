"""The category tree: found or made by name, and imported from the shop's own sheet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from recyclic.core.http import ApiError
from recyclic.modules.caisse.amounts import AmountError, parse_cents
from recyclic.modules.caisse.models import Category
from recyclic.modules.caisse.sheet import Row, Sheet, read_sheet

COLUMNS = {
    "root": ("categorie racine", "categorie"),
    "name": ("sous categorie",),
    "min_price": ("prix minimum", "prix minimum eur", "prix min"),
    "max_price": ("prix maximum", "prix maximum eur", "prix max"),
}
MAX_NAME = 200


@dataclass(frozen=True)
class CategoryLine:
    """One line of the sheet: what it said, what became of it (`created`, `updated`, `unchanged`, `refused`) and why."""

    line: int
    status: str
    root: str
    name: str
    min_price_cents: int | None = None
    max_price_cents: int | None = None
    reasons: list[str] = field(default_factory=list)


def name_key(name: str) -> str:
    """Return what two spellings of one name share: case and spaces do not tell names apart, accents do."""
    return " ".join(name.split()).casefold()


async def all_categories(db: AsyncSession) -> list[Category]:
    """Return the tree as a list, roots and children each in their order."""
    return list(await db.scalars(select(Category).order_by(Category.position, Category.id)))


async def category_named(db: AsyncSession, name: str) -> Category:
    """Return the category of this name, a root before a child; an unknown name becomes a root of its own.

    A sale is never refused because a label or a notebook names a category that the tree does not have.
    """
    key = name_key(name)
    order = (Category.parent_id.is_not(None), Category.position, Category.id)
    found = await db.scalar(select(Category).where(Category.name_key == key).order_by(*order).limit(1))
    if found is not None:
        return found
    try:
        async with db.begin_nested():
            return await _add(db, None, name, None, None)
    except IntegrityError:  # another ticket made it in the same moment
        return (await db.scalars(select(Category).where(Category.name_key == key, Category.parent_id.is_(None)))).one()


async def import_categories(db: AsyncSession, content: bytes) -> list[CategoryLine]:
    """Bring the tree to what the sheet says and return what was done with each line. Nothing is ever deleted.

    Raises:
        SheetError: the file is not such a sheet.
        ApiError: 409 `tree_changed`: somebody else added the same category in this moment; nothing was imported.
    """
    try:
        return await _import(db, content)
    except IntegrityError as error:
        raise ApiError(409, "tree_changed", "The tree changed in the same moment; send the sheet again.") from error


async def _import(db: AsyncSession, content: bytes) -> list[CategoryLine]:
    sheet = read_sheet(content, COLUMNS, optional=("min_price", "max_price"))
    known = {(category.parent_id, category.name_key): category for category in await all_categories(db)}
    seen: set[tuple[str, str]] = set()
    report = []
    for row in sheet.rows:
        if any(sheet.cell(row, column) for column in COLUMNS):
            line = _read(sheet, row, seen)
            report.append(line if line.reasons else await _apply(db, line, known))
    return report


def warning_for(category: Category | None, unit_price_cents: int) -> str | None:
    """Return what is odd about a price: `above_maximum`, `below_minimum`, or nothing.

    The sheet's limits are a help to the volunteer at the till, never a lock: the sale is recorded with the warning.
    What is given away has no price to compare.
    """
    if category is None or unit_price_cents == 0:
        return None
    if category.max_price_cents is not None and unit_price_cents > category.max_price_cents:
        return "above_maximum"
    if category.min_price_cents is not None and unit_price_cents < category.min_price_cents:
        return "below_minimum"
    return None


def _read(sheet: Sheet, row: Row, seen: set[tuple[str, str]]) -> CategoryLine:
    root, name = (" ".join(sheet.cell(row, column).split()) for column in ("root", "name"))
    reasons = ["quotes_damaged"] if row.damaged else ["cells_shifted"] if sheet.shifted(row) else []
    reasons += [] if root else ["root_missing"]
    reasons += ["name_too_long"] if max(len(root), len(name)) > MAX_NAME else []
    prices: dict[str, int | None] = {}
    for column in ("min_price", "max_price"):
        try:
            prices[column] = parse_cents(sheet.cell(row, column))
        except AmountError as error:
            prices[column] = None
            reasons.append(f"{column}_{error.reason}")
    low, high = prices["min_price"], prices["max_price"]
    if low is not None and high is not None and low > high:
        reasons.append("minimum_above_maximum")
    if (key := (name_key(root), name_key(name))) in seen:
        reasons.append("twice_in_file")
    seen.add(key)
    return CategoryLine(row.line, "refused", root, name, low, high, reasons)


async def _apply(db: AsyncSession, line: CategoryLine, known: dict[tuple[str | None, str], Category]) -> CategoryLine:
    """Create or update the category of a line; one without a sub-category is the root itself."""
    parent: Category | None = None
    if line.name:
        parent = known.get((None, name_key(line.root)))
        if parent is None:
            parent = known[None, name_key(line.root)] = await _add(db, None, line.root, None, None)
    name = line.name or line.root
    prices = (line.min_price_cents, line.max_price_cents)
    key = (parent.id if parent else None, name_key(name))
    category = known.get(key)
    if category is None:
        known[key] = await _add(db, parent, name, *prices)
        status = "created"
    elif (category.min_price_cents, category.max_price_cents, category.name) == (*prices, name):
        status = "unchanged"
    else:
        category.min_price_cents, category.max_price_cents = prices
        category.name = name
        status = "updated"
    return CategoryLine(line.line, status, line.root, line.name, *prices)


async def _add(db: AsyncSession, parent: Category | None, name: str, low: int | None, high: int | None) -> Category:
    position = await db.scalar(select(func.coalesce(func.max(Category.position), 0) + 1))
    category = Category(
        parent_id=parent.id if parent else None,
        name=" ".join(name.split()),
        name_key=name_key(name),
        min_price_cents=low,
        max_price_cents=high,
        position=position or 1,
    )
    db.add(category)
    await db.flush()
    return category


def count(report: Iterable[CategoryLine]) -> dict[str, int]:
    """Return how many lines were created, updated, left unchanged and refused."""
    counts = dict.fromkeys(("created", "updated", "unchanged", "refused"), 0)
    for line in report:
        counts[line.status] += 1
    return counts
