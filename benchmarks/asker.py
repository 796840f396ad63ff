"""Asks a server more than it can answer, and counts what becomes of it."""

import threading
import time
from collections import Counter

import grpc
import numpy as np

from serving.client import SerClient, messages
from serving.client.prediction import ANSWER_OUTPUTS

DEADLINE_S = 1.0


class Asker:
    """Sends one request many times, each time with a deadline, and counts the outcomes."""

    def __init__(self, endpoint, name, inputs, seconds):
        self.endpoint, self.seconds = endpoint, seconds
        with SerClient(endpoint, name) as client:
            self.data = client.request_of(inputs, outputs=ANSWER_OUTPUTS).SerializeToString()

    def ask(self, peak, *, clients=None, rate=None):
        """Sends from `clients`, each again as soon as it is answered, or at a fixed rate."""
        free = threading.Semaphore(clients or 0)
        codes, steady, late = Counter(), Counter(), []
        with grpc.insecure_channel(self.endpoint) as channel:
            call = channel.unary_unary(messages.PREDICT)

            def ended(future, asked):
                now, code = time.perf_counter(), future.code().name
                codes[code] += 1
                steady[code] += DEADLINE_S <= now - began < self.seconds
                late.append(now - asked)
                free.release()

            began, worked, sent = time.perf_counter(), time.process_time(), 0
            while (now := time.perf_counter() - began) < self.seconds:
                if rate is None:
                    free.acquire()
                elif now * rate < sent:
                    time.sleep(sent / rate - now)
                asked = time.perf_counter()
                future = call.future(self.data, timeout=DEADLINE_S)
                future.add_done_callback(lambda future, asked=asked: ended(future, asked))
                sent += 1
            asking = (time.process_time() - worked) / self.seconds
            for _ in range(clients or sent):
                free.acquire()
        answered = steady["OK"] / (self.seconds - DEADLINE_S)
        return {
            "asked_per_second": sent / self.seconds,
            "answered_per_second": answered,
            "share_of_peak": answered / peak,
            "asking_cores": asking,
            "codes": codes,
            "slowest_s": max(late),
            "after_the_deadline": sum(seconds >= DEADLINE_S for seconds in late),
        }


def summarize_rounds(rounds):
    """Returns the medians of several rounds of an `Asker`, and the sums of its counts."""
    medians = {
        key: round(float(np.median([row[key] for row in rounds])), 3)
        for key in ("asked_per_second", "answered_per_second", "share_of_peak", "asking_cores")
    }
    return medians | {
        "shares": [round(row["share_of_peak"], 3) for row in rounds],
        "codes": dict(sum((row["codes"] for row in rounds), Counter())),
        "deadline_s": DEADLINE_S,
        "slowest_s": round(max(row["slowest_s"] for row in rounds), 3),
        "after_the_deadline": sum(row["after_the_deadline"] for row in rounds),
    }
