"""Background tasks: TASKS and app/tasks.py list the same functions."""

import importlib
import inspect

import pytest

from app import queue, tasks


@pytest.mark.parametrize("name", queue.TASKS)
def test_each_task_leads_to_a_function_that_takes_ids_only(name: str) -> None:
    module, _, function = queue.TASKS[name].path.rpartition(".")
    assert module == tasks.__name__
    signature = inspect.signature(getattr(importlib.import_module(module), function))
    assert {parameter.annotation for parameter in signature.parameters.values()} <= {int, str}
    assert signature.return_annotation is None


def test_each_background_function_is_in_the_table() -> None:
    defined = {
        f"{tasks.__name__}.{name}"
        for name, value in vars(tasks).items()
        if inspect.isfunction(value) and value.__module__ == tasks.__name__
    }
    assert defined == {task.path for task in queue.TASKS.values()}
