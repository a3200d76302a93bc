"""The workspace's dashboards, with the numbers behind them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dashboard:
    """A dashboard: what the API tells about it, and a table with one row a period for its charts."""

    id: str
    name: str
    description: str
    created_at: str
    updated_at: str
    visualization_count: int
    period: str
    columns: tuple[str, str, str]
    unit: str
    rows: tuple[tuple[str, int, int, int], ...]
    always_fails: bool = False

    def values(self, column: int) -> list[int]:
        """Return the numbers of one column, counted from 0."""
        return [(first, second, third)[column] for _, first, second, third in self.rows]


def blank(dashboard_id: str, name: str, description: str, created_at: str) -> Dashboard:
    """Return a new dashboard: without a visualization, and with two days of numbers so that an export shows any."""
    return Dashboard(
        id=dashboard_id,
        name=name,
        description=description,
        created_at=created_at,
        updated_at=created_at,
        visualization_count=0,
        period="Day",
        columns=("First", "Second", "Third"),
        unit="things",
        rows=(("2026-01-01", 1, 2, 3), ("2026-01-02", 2, 3, 4)),
    )


SEEDED = (
    Dashboard(
        id="dash_abc123",
        name="Q4 Revenue Overview",
        description="Executive summary of Q4 revenue metrics",
        created_at="2026-01-15T09:00:00Z",
        updated_at="2026-03-22T14:30:00Z",
        visualization_count=8,
        period="Week of",
        columns=("Subscriptions", "Services", "Marketplace"),
        unit="EUR",
        rows=(
            ("2025-10-06", 184_200, 61_450, 22_310),
            ("2025-10-13", 186_950, 58_700, 24_080),
            ("2025-10-20", 189_300, 64_120, 23_640),
            ("2025-10-27", 191_870, 70_890, 26_150),
            ("2025-11-03", 193_400, 66_300, 27_920),
            ("2025-11-10", 197_250, 62_480, 29_760),
            ("2025-11-17", 201_100, 73_510, 33_480),
            ("2025-11-24", 208_640, 79_260, 48_930),
            ("2025-12-01", 211_980, 81_400, 44_270),
            ("2025-12-08", 214_300, 77_850, 41_690),
            ("2025-12-15", 216_720, 69_930, 39_540),
            ("2025-12-22", 215_110, 41_270, 35_860),
        ),
    ),
    Dashboard(
        id="dash_ops456",
        name="Vehicle Inspections",
        description="Inspections asked for, received and found with damage, by week",
        created_at="2026-02-02T08:15:00Z",
        updated_at="2026-03-30T06:45:00Z",
        visualization_count=5,
        period="Week of",
        columns=("Asked", "Received", "With damage"),
        unit="inspections",
        rows=(
            ("2026-02-02", 118, 97, 14),
            ("2026-02-09", 124, 109, 11),
            ("2026-02-16", 131, 112, 19),
            ("2026-02-23", 127, 118, 16),
            ("2026-03-02", 142, 125, 13),
            ("2026-03-09", 150, 139, 21),
            ("2026-03-16", 147, 138, 18),
            ("2026-03-23", 158, 149, 15),
        ),
    ),
    Dashboard(
        id="dash_broken",
        name="Warehouse Stock",
        description="Stock by site; its data source is offline, so its exports always fail",
        created_at="2026-02-20T11:00:00Z",
        updated_at="2026-03-01T10:00:00Z",
        visualization_count=3,
        period="Day",
        columns=("North", "Centre", "South"),
        unit="pallets",
        rows=(
            ("2026-02-25", 812, 640, 977),
            ("2026-02-26", 798, 655, 941),
            ("2026-02-27", 845, 631, 958),
        ),
        always_fails=True,
    ),
)
