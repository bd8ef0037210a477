{% include "tasks/" ~ cookiecutter.task ~ "/test_data.py" -%}
