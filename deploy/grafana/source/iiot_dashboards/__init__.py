"""Dashboards and alert rules of Grafana as Python; `python -m iiot_dashboards` writes the files beside this folder anew."""
