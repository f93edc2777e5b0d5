// incident, change, probability, sentence
UNWIND $rows AS row
MATCH (i:RcaIncident {tenant: $tenant, id: row[0]})
MATCH (g:RcaChange {tenant: $tenant, id: row[1]})
MERGE (i)-[s:SUSPECTS]->(g)
ON CREATE SET s.probability = row[2], s.sentence = row[3]
