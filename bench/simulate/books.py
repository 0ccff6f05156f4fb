"""Whether the money adds up, per account and per job, whatever has happened so far."""

from collections import defaultdict

from bench.simulate.violations import expect, expect_equal
from gpupool.jobs.model import Job
from gpupool.ledger.decide import before, walk_back
from gpupool.ledger.model import Balance, EntryKind, Transfer, time_key
from gpupool.units.model import UnitStatus
from gpupool.uploads.model import UploadKind, owner_kind
from gpupool.world import World


def check_books(world: World) -> None:
    by_job: dict[str, list[Transfer]] = defaultdict(list)
    for customer_id, entries in world.transfers.items():
        _check_accounts(world, customer_id, list(entries.values()))
        for entry in entries.values():
            if entry.job_id is not None:
                by_job[entry.job_id].append(entry)
    expect(by_job.keys() <= world.jobs.keys(), "no money moves for a job that is not there", by_job.keys() - world.jobs.keys())
    for job in world.jobs.values():
        _check_job(world, job, by_job[job.id])


def _check_accounts(world: World, customer_id: str, entries: list[Transfer]) -> None:
    balance = world.balances[customer_id]
    sums = dict.fromkeys(EntryKind, 0)
    for entry in entries:
        sums[entry.kind] += entry.amount
    in_hand = balance.available + balance.held + balance.spent
    expect(in_hand == balance.granted == sums[EntryKind.GRANT], "available + held + spent = granted", (balance, sums))
    open_holds = sums[EntryKind.HOLD] - sums[EntryKind.DEBIT] - sums[EntryKind.RELEASE]
    expect_equal(balance.held, open_holds, "held is what holds left after debits and releases")
    expect_equal(balance.spent, sums[EntryKind.DEBIT], "spent is what was debited")
    lines, opening = walk_back(balance, sorted(entries, key=time_key, reverse=True))
    expect_equal([line.transfer for line in lines][::-1], sorted(entries, key=time_key), "every transfer has its line")
    expect_equal(opening, Balance(customer_id), "undone one by one, the transfers lead back to nothing")
    expect_equal(before(balance, entries), opening, "the order of transfers changes no balance")
    expect(all(_adds_up(line.after) for line in lines), "available + held + spent = granted after every transfer", customer_id)
    expect(min(balance.available, balance.held, balance.spent) >= 0, "no account is below zero", balance)


def _adds_up(balance: Balance) -> bool:
    return balance.available + balance.held + balance.spent == balance.granted


def _check_job(world: World, job: Job, mine: list[Transfer]) -> None:
    units = world.units.get(job.id, {}).values()
    debits = {str(entry.unit_id): entry.amount for entry in mine if entry.kind is EntryKind.DEBIT}
    completed = {unit.id: unit.credits for unit in units if unit.status is UnitStatus.COMPLETED}
    holds = [entry.amount for entry in mine if entry.kind is EntryKind.HOLD]
    released = sum(entry.amount for entry in mine if entry.kind is EntryKind.RELEASE)
    expect_equal(holds, [job.quote.credits], f"{job.id} holds its quote")
    expect(debits.items() <= completed.items(), f"{job.id} is debited for completed units alone", (debits, completed))
    counted = (job.units_completed, job.credits_spent)
    expect_equal(counted, (len(debits), sum(debits.values())), f"{job.id} counts its debits")
    if job.is_live:
        expect_equal(released, 0, f"{job.id} keeps its hold while it lives")
        return
    expect_equal(debits, completed, f"{job.id} has one debit per completed unit")
    expect_equal(released, job.quote.credits - job.credits_spent, f"{job.id} gave the rest of its hold back")
    expect(all(unit.is_final for unit in units), f"every unit of {job.id} has ended", [unit.status for unit in units])
    for kind, upload_id in ((UploadKind.DATASET, job.dataset.id), (UploadKind.TRAINING_PACKAGE, job.package.id)):
        upload = world.uploads.get((owner_kind(job.customer_id, kind), upload_id))
        expect(upload is not None and job.id not in upload.live_jobs, f"{job.id} lets go of its {kind}", upload_id)
