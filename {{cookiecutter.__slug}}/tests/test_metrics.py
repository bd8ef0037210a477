{% include "tasks/" ~ cookiecutter.task ~ "/test_metrics.py" -%}
