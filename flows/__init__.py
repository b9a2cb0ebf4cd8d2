import tasks  # noqa: F401 - its defaults must hold before Prefect is imported
