"""Runs methods over the labelled incidents of a data set. The methods get the case and nothing else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rca.cases.labelled import LabelledCase, Onset
from rca.cases.registry import load_set
from rca.errors import EvaluationError, RCAError
from rca.evaluation.baselines import components_of
from rca.evaluation.fine_level import fault_rank, metric_rank
from rca.evaluation.measures import chance_card, order, score_card, worst_rank
from rca.evaluation.methods import LABEL_PRIOR, METHODS, RANDOM, UNTRAINED, Opinion, find_method, read_report
from rca.evaluation.results import OURS, CaseResult, Evaluation, MethodResult
from rca.parallel import Backend, check_backend, run_tasks
from rca.types import Answer, Case

if TYPE_CHECKING:
    from rca.evaluation.trained import Taught
    from rca.learning.learned import LearnedModel

Progress = Callable[[int, int], None]


def evaluate(
    set_name: str,
    data: Path | str,
    *,
    methods: Sequence[str] | None = (OURS,),
    onset: Onset = "estimated",
    train: str | Path | None = None,
    model: str | None = None,
    jobs: int | None = None,
    backend: Backend = "loky",
    progress: Progress | None = None,
) -> Evaluation:
    """How well methods rank the true causes of a data set.

    Args:
        set_name: one of ``rca.cases.registry.SETS``.
        data: the folder of the unpacked set.
        methods: of ``METHODS``; all where None.
        onset: whether the time of the injection is given.
        train: labelled incidents that ``rca`` learns from: the folder of another part of the set, or
            "5-fold" to rank each fifth by the others; ``untrained`` stands beside it then.
        model: the trained detector of ``rca``, as ``Case.model`` refers to it; "" for none, None for what each
            case says.
        jobs: incidents analysed side by side; see ``rca.parallel.run_tasks``.
        backend: where: loky, processes here, or Ray, a cluster.
        progress: called with the incidents done and their number, 0 while it is unknown.

    Raises:
        EvaluationError: a set, method or option is unknown, or there are no incidents.
        CaseError, TelemetryError: the set is malformed.
        ModelError: the given model cannot be used.
        WorkerError: there is no such backend, or its workers die again and again.
    """
    names = _check(methods, jobs)
    check_backend(backend, jobs)
    labelled: Iterable[LabelledCase] = load_set(set_name, data, onset=onset)
    if model is not None:
        _check_model(model)
        labelled = (LabelledCase(replace(case, model=model), answer) for case, answer in labelled)
    taught: Taught | None = None
    if train is not None:
        taught, labelled = _teach(labelled, set_name, data, train, onset, progress)
    found = _assess_all(labelled, names, jobs, backend, progress)
    if taught is not None and OURS in names:
        found = _with_learned(found, taught, [answer for _, answer in labelled], jobs, backend)
        names = (OURS, UNTRAINED, *(name for name in names if name != OURS))
    if not found:
        raise EvaluationError("the set has no incidents", where=data, remedy="Unpack the set completely")
    cases = _with_peers([case for case in found if case.answer.components], names)
    healthy = tuple(case for case in found if not case.answer.components)
    return Evaluation(
        dataset=set_name,
        onset=onset,
        methods=names,
        cases=cases,
        healthy=healthy,
        learning={} if taught is None else taught.figures([answer for _, answer in labelled]),
    )


def _teach(
    labelled: Iterable[LabelledCase],
    set_name: str,
    data: Path | str,
    train: str | Path,
    onset: Onset,
    progress: Progress | None,
) -> tuple[Taught, list[LabelledCase]]:
    """Learned weights for each incident, none of which saw it, and the incidents read."""
    from rca.evaluation.trained import folds_of, teach_folder, teach_folds

    folds = folds_of(train)
    if folds is not None:
        given = list(labelled)
        return teach_folds(given, folds, progress), given
    if Path(train).resolve() == Path(data).resolve():
        raise EvaluationError("an incident must not teach what it is measured with", where=train, remedy="Give 5-fold")
    given = list(labelled)
    return teach_folder(given, load_set(set_name, train, onset=onset), str(train), progress), given


def _with_learned(
    found: Sequence[CaseResult], taught: Taught, answers: Sequence[Answer], jobs: int | None, backend: Backend
) -> list[CaseResult]:
    """The results with those of the learned weights as ours, and what was ours as the untrained ones."""
    lessons = list(zip(taught.cases, taught.models, answers, strict=True))
    results = dict(run_tasks(_assess_learned, lessons, jobs=jobs, backend=backend))
    return [
        replace(case, methods={**case.methods, OURS: results[number], UNTRAINED: case.methods[OURS]})
        for number, case in enumerate(found)
    ]


def _assess_learned(lesson: tuple[Case, LearnedModel, Answer]) -> MethodResult:
    from rca.pipeline import analyze

    case, model, answer = lesson
    return _run(lambda given: read_report(analyze(given, learned=model)), case, answer)


def _check(methods: Sequence[str] | None, jobs: int | None) -> tuple[str, ...]:
    if jobs is not None and jobs < 1:
        raise EvaluationError(f"the number of jobs is {jobs}", where="--jobs", remedy="Give at least 1")
    names = METHODS if methods is None else tuple(dict.fromkeys(methods))
    for name in names:
        if name not in METHODS:
            raise EvaluationError(f"the method {name!r} is unknown", remedy=f"Use some of {', '.join(METHODS)}")
    if not names:
        raise EvaluationError("no method is given", remedy=f"Use some of {', '.join(METHODS)}")
    return names


def _check_model(model: str) -> None:
    """A figure that was to be a model's must not be that of another detector."""
    if model:
        from rca.registry import load_model

        load_model(model)


def _assess_all(
    labelled: Iterable[LabelledCase],
    names: tuple[str, ...],
    jobs: int | None,
    backend: Backend,
    progress: Progress | None,
) -> list[CaseResult]:
    done: dict[int, CaseResult] = {}
    for number, result in run_tasks(partial(_assess_one, methods=names), labelled, jobs=jobs, backend=backend):
        done[number] = result
        if progress is not None:
            progress(len(done), 0)
    if progress is not None:
        progress(len(done), len(done))
    return [done[number] for number in sorted(done)]


def _assess_one(labelled: LabelledCase, methods: Sequence[str]) -> CaseResult:
    return assess(labelled.case, labelled.answer, methods)


def assess(case: Case, answer: Answer, methods: Sequence[str]) -> CaseResult:
    """Runs the methods that need nothing but the case, one after the other."""
    results = {name: _run(find_method(name), case, answer) for name in methods if name not in (RANDOM, LABEL_PRIOR)}
    return CaseResult(id=case.incident.id, answer=answer, components=components_of(case), methods=results)


def _run(method: Callable[[Case], Opinion], case: Case, answer: Answer) -> MethodResult:
    start = time.perf_counter()
    try:
        opinion = method(case)
    except Exception as error:  # whatever a method does wrong is its failure and a miss, not the end of the run
        seconds = time.perf_counter() - start
        reason = str(error) if isinstance(error, RCAError) else f"{type(error).__name__}: {error}"
        return MethodResult(ranking=(), card=score_card(None), seconds=seconds, failure=reason)
    seconds = time.perf_counter() - start
    return replace(_judge(opinion, components_of(case), answer), seconds=seconds)


def _judge(opinion: Opinion, components: Sequence[str], answer: Answer) -> MethodResult:
    first = answer.first_failing
    return MethodResult(
        ranking=opinion.ranking or order(opinion.scores),
        card=score_card(worst_rank(_complete(opinion.scores, components), answer.components)),
        first_failing=float(first is not None and _failed_first(opinion, first)),
        culprit=opinion.culprit,
        believed=opinion.believed and bool(opinion.scores),
        degraded=opinion.degraded,
        metric_rank=metric_rank(opinion.findings, answer) if answer.metric else None,
        fault_rank=fault_rank(opinion.findings, answer) if answer.kind else None,
    )


def _failed_first(opinion: Opinion, component: str) -> bool:
    named = opinion.first_failing
    return named == component if named else worst_rank(opinion.scores, (component,)) == 1


def _complete(scores: Mapping[str, float], components: Sequence[str]) -> dict[str, float]:
    """Scores of all components: those a method does not name share the last place."""
    return {**dict.fromkeys(components, float("-inf")), **scores} if scores else {}


def _with_peers(cases: Sequence[CaseResult], names: Sequence[str]) -> tuple[CaseResult, ...]:
    """Adds the two baselines that are made of labels or of nothing, and puts methods into their order."""
    roots = Counter(name for case in cases for name in case.answer.components)
    return tuple(_with_peers_of(case, roots, names) for case in cases)


def _with_peers_of(case: CaseResult, roots: Mapping[str, int], names: Sequence[str]) -> CaseResult:
    results = dict(case.methods)
    if RANDOM in names:
        results[RANDOM] = _chance(case)
    if LABEL_PRIOR in names:
        # Leave-one-out: how often each component is the root of the other incidents.
        own = set(case.answer.components)
        scores = {name: float(roots.get(name, 0) - (name in own)) for name in case.components}
        results[LABEL_PRIOR] = _judge(Opinion(scores=scores), case.components, case.answer)
    return replace(case, methods={name: results[name] for name in names})


def _chance(case: CaseResult) -> MethodResult:
    size = len(case.components)
    right = len(set(case.answer.components) & set(case.components))
    first = case.answer.first_failing in case.components
    return MethodResult(ranking=(), card=chance_card(size, right), first_failing=1.0 / size if first and size else 0.0)
