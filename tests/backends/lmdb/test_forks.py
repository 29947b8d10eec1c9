"""A process that forks after it used the cache, with and without Python's knowledge."""

import pytest

from tests.processes import process

# Runs four children, then says what each of them and the parent found.
FORKS = """
import ctypes, threading
from cacheplus.backends.lmdb import LMDBCache

def another():
    return LMDBCache(location, {"OPTIONS": options})

def four(fork, work):
    heard = []
    for number in range(4):
        read, write = os.pipe()
        if fork() == 0:
            try:
                answer = work(number)
            except BaseException as error:
                answer = repr(error)
            os.write(write, json.dumps(answer).encode())
            os._exit(0)
        os.close(write)
        heard.append(read)
    return heard

def answers(heard):
    found = []
    for read in heard:
        found.append(json.loads(os.read(read, 4096) or '"died"'))
        os.close(read)
        os.wait()
    return found

def work(number):
    own = another() if number % 2 else cache
    right = 0
    for n in range(300):
        own.set(f"key-{number}-{n % 7}", [number, n])
        right += own.get(f"key-{number}-{n % 7}") == [number, n] and own.get("base") == "value"
        own.incr("count")
    return right

fork = {"os": os.fork, "libc": ctypes.CDLL(None).fork}[arguments[0]]
cache.set_many({"base": "value", "count": 0}, 1000)
assert cache.get("base") == "value"
"""


@pytest.fixture
def run(cache):
    def run(code, fork="os"):
        with process(cache, FORKS + code, fork) as parent:
            parent.go()
            return parent.heard()

    return run


@pytest.mark.parametrize("fork", ["os", "libc"])
def test_after_use_all_children_and_the_parent_are_right(run, fork):
    """F19. uWSGI forks as libc does: without a word to Python."""
    code = """
heard = four(fork, work)
right = sum(cache.get("base") == "value" and cache.incr("count") > 0 for _ in range(300))
tell([answers(heard), right, cache.get("count")])
"""
    assert run(code, fork) == [[300, 300, 300, 300], 300, 1500]


@pytest.mark.parametrize("fork", ["os", "libc"])
def test_children_that_only_read_do_not_disturb_each_other(run, fork):
    code = """
heard = four(fork, lambda number: sum(cache.get("base") == "value" for _ in range(5000)))
for n in range(5000):
    cache.set(f"key-{n % 100}", n)
tell(answers(heard))
"""
    assert run(code, fork) == [5000, 5000, 5000, 5000]


def test_threads_that_read_and_write_go_on_while_others_fork(run):
    code = """
done, errors, reads = False, [], 0
def read():
    global reads
    own = another()
    while not done:
        try:
            assert own.get("base") == "value"
            reads += 1
        except BaseException as error:
            errors.append(repr(error))
def write():
    own = another()
    while not done:
        try:
            own.set("busy", "value")
        except BaseException as error:
            errors.append(repr(error))
threads = [threading.Thread(target=call) for call in (read, read, write)]
for thread in threads:
    thread.start()
found = []
for _ in range(5):
    found += answers(four(fork, lambda number: cache.get("base") == "value" and cache.incr("count") > 0))
done = True
for thread in threads:
    thread.join()
tell([set(found) == {True}, errors, reads > 100, cache.get("count")])
"""
    assert run(code) == [True, [], True, 20]


def test_a_fork_past_python_in_the_middle_of_a_write_of_another_thread(run):
    """LMDB would wait for the end of that write, which never comes in the child. The store is worth less than that."""
    code = """
inside = threading.Event()
def linger(entries, room):
    inside.set()
    time.sleep(0.2)
writer = threading.Thread(target=cache._store.write, args=(linger, cache._limits))
writer.start()
inside.wait()
def use(number):
    cache.set(f"child-{number}", "value")
    return cache.get(f"child-{number}")
heard = four(ctypes.PyDLL(None).fork, use)
writer.join()
found = answers(heard)
cache.set("key", "value")
tell([found, cache.get("key")])
"""
    assert run(code, "libc") == [["value"] * 4, "value"]


def test_a_child_does_not_keep_the_lock_of_its_parent(run):
    """The child outlives a parent that was killed; a file that it inherited would keep the lock."""
    code = """
heard = four(fork, lambda number: (time.sleep(0.3), cache.add("winner", number, 60))[1])
cache.set("key", "value")
tell(sorted(answers(heard)))
"""
    assert run(code) == [False, False, False, True]


def test_a_child_of_a_child_is_right_too(run):
    code = """
def deeper(number):
    cache.incr("count")
    return answers(four(fork, lambda inner: cache.incr("count") > 0))
found = answers(four(fork, deeper))
tell([found, cache.get("count")])
"""
    assert run(code) == [[[True] * 4] * 4, 20]
