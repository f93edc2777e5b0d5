// incident, cause, effect, rule, also, lag, weight
UNWIND $rows AS row
MATCH (a:RcaEvent {tenant: $tenant, incident: row[0], number: row[1]})
MATCH (b:RcaEvent {tenant: $tenant, incident: row[0], number: row[2]})
MERGE (a)-[l:MAY_HAVE_CAUSED]->(b)
ON CREATE SET l.rule = row[3], l.also = row[4], l.lag = row[5], l.weight = row[6]
