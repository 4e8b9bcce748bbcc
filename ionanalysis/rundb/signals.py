"""What else goes when a row goes, and what a new user gets (rest-api.md 2.3, 4)."""

from django.contrib.auth.models import User
from django.db.models.signals import post_delete, post_save, pre_delete
from tastypie.models import create_api_key

from ionanalysis.rundb.models import Experiment, PlannedExperiment, Sample, UserProfile


def connect():
    """Start to listen."""
    post_save.connect(create_api_key, sender=User, dispatch_uid="rundb-key")
    post_save.connect(_profile, sender=User, dispatch_uid="rundb-profile")
    pre_delete.connect(_note_samples, sender=Experiment, dispatch_uid="rundb-samples")
    post_delete.connect(_what_only_a_run_had, sender=Experiment, dispatch_uid="rundb-run")


def _profile(instance, created, raw=False, **_):
    if created and not raw:
        UserProfile.objects.get_or_create(user=instance)


def _note_samples(instance, **_):
    """Keep in mind which samples a run has: its links to them go before it does."""
    instance.keys_of_samples = list(instance.samples.values_list("pk", flat=True))


def _what_only_a_run_had(instance, **_):
    """With a run go its plan, and samples that no other run or set has and that nobody added by themselves.

    When several runs are deleted at once the links of all are gone by now, so that samples they share go, too.
    """
    alone = Sample.objects.filter(pk__in=instance.keys_of_samples, experiments=None, sampleSets=None)
    alone.exclude(status="created").delete()
    if instance.plan_id is not None:
        PlannedExperiment.objects.filter(pk=instance.plan_id).delete()
