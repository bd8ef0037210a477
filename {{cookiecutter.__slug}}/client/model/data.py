{% include "tasks/" ~ cookiecutter.task ~ "/data.py" -%}
