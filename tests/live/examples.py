"""The example DAGs that must succeed under a real scheduler and triggerer."""

EXAMPLES = ("visio_photos_to_dashboard", "visiono_three_steps", "visiono_fan_out", "vizdom_weekly_export")
