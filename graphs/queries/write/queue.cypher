// Whether the entry of a queue is still to be applied; also locks the queue, so that two senders take turns.
// $origin, $number
MERGE (q:RcaQueue {tenant: $tenant, origin: $origin})
ON CREATE SET q.applied = 0
SET q.touched = $number
WITH q, q.applied < $number AS due
SET q.applied = CASE WHEN due THEN $number ELSE q.applied END
RETURN due
