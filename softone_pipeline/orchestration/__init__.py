"""The only room that knows Dagster: assets, checks, partitions, jobs, schedules, resources, instance."""
