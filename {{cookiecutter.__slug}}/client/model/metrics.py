{% include "tasks/" ~ cookiecutter.task ~ "/metrics.py" -%}
