"""Which change did it, or none: changes judged by place, time and what their diff can do."""
