"""The questions to the history in SQL; graphs/queries/*.cypher says the same to Neo4j."""

from __future__ import annotations

from collections.abc import Mapping

QUESTIONS: Mapping[str, str] = {
    "causes": """
        SELECT component, count(*) AS incidents, sum(state = 'confirmed') AS confirmed,
               json_group_array(DISTINCT kind) AS kinds, max(start) AS last
        FROM settled
        WHERE tenant = :tenant AND start >= :since AND start < :until
          AND state IN ('confirmed', 'believed') AND component <> ''
        GROUP BY component""",
    "deployments": """
        SELECT g.id AS change, g.name, g.component, g.kind, g.team, g.time, i.incident, i.title, i.start,
               s.probability,
               CASE WHEN i.state IN ('confirmed', 'believed') AND i.change = g.id THEN i.state
                    WHEN i.state IN ('confirmed', 'wrong') THEN 'cleared' ELSE 'suspected' END AS state,
               i.reached
        FROM changes g
        JOIN suspects s ON s.tenant = g.tenant AND s.change = g.id
        JOIN settled i ON i.tenant = g.tenant AND i.incident = s.incident
        WHERE g.tenant = :tenant AND i.start >= :since AND i.start < :until
          AND (:change = '' OR g.id = :change OR g.name = :change)""",
    "rules": """
        WITH fired AS (
          SELECT incident, rule FROM links WHERE tenant = :tenant
          UNION ALL
          SELECT l.incident, a.value FROM links l, json_each(l.also) a WHERE l.tenant = :tenant
        )
        SELECT f.rule, count(*) AS links, count(DISTINCT i.id) AS incidents, max(i.start) AS last
        FROM fired f JOIN incidents i ON i.tenant = :tenant AND i.id = f.incident
        WHERE i.start >= :since AND i.start < :until
        GROUP BY f.rule""",
    "blast_radius": """
        SELECT start - :offset - ((start - :offset) % :width + :width) % :width + :offset AS period,
               count(*) AS incidents, sum(reached) AS total, max(reached) AS largest
        FROM settled
        WHERE tenant = :tenant AND start >= :since AND start < :until
        GROUP BY 1""",
    "teams": """
        WITH broken AS (
          SELECT s.change, max(i.state = 'confirmed') AS confirmed, max(i.state = 'believed') AS believed
          FROM suspects s JOIN settled i ON i.tenant = s.tenant AND i.incident = s.incident AND i.change = s.change
          WHERE s.tenant = :tenant
          GROUP BY s.change
        )
        SELECT g.team, count(*) AS changes, coalesce(sum(b.confirmed), 0) AS confirmed,
               coalesce(sum(b.believed AND NOT b.confirmed), 0) AS believed
        FROM changes g LEFT JOIN broken b ON b.change = g.id
        WHERE g.tenant = :tenant AND g.time >= :since AND g.time < :until
        GROUP BY g.team""",
}
LISTS = ("also", "kinds", "missing")  # columns that hold JSON lists
