UNWIND $keys AS key
MATCH (:RcaIncident {tenant: $tenant, id: key})-[:HAS_EVENT]->(a)-[l:MAY_HAVE_CAUSED]->(b)
RETURN key AS incident, a.number AS cause, b.number AS effect, l.rule AS rule, l.also AS also, l.lag AS lag,
       l.weight AS weight
