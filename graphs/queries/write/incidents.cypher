// id, title, start, end, detected_at, onset, verdict, component, kind, change, missing, report
UNWIND $rows AS row
MERGE (i:RcaIncident {tenant: $tenant, id: row[0]})
SET i.title = row[1], i.start = row[2], i.end = row[3], i.detected_at = row[4], i.onset = row[5],
    i.verdict = row[6], i.component = row[7], i.kind = row[8], i.change = row[9], i.missing = row[10],
    i.report = row[11]
