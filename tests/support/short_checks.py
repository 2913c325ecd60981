"""The `nametag` command with a scheduler that checks, alerts and looks at gaps every second, from its start."""

if __name__ == "__main__":
    from app import doctor, scheduler
    from app.alerts import lifecycle
    from app.runs import gap_reports

    scheduler.FIRST_AFTER.clear()
    scheduler.DUTIES |= dict.fromkeys((doctor.record, lifecycle.record, gap_reports.advance), 1)
    from app.cli.main import main

    main()
