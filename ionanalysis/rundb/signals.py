"""What else goes when a row goes, and what a new user gets (rest-api.md 2.3, 4)."""

from django.contrib.auth.models import User
from django.db.models.signals import post_delete, post_save, pre_delete
from tastypie.models import create_api_key

from ionanalysis.rundb.models import Experiment, PlannedExperiment, Sample, UserProfile


def connect():
    """Start to listen."""
    post_save.connect(create_api_key, sender=User, dispatch_uid="rundb-key")
    post_save.connect(_profile, sender=User, dispatch_uid="rundb-profile")
    pre_delete.connect(_samples_of_run, sender=Experiment, dispatch_uid="rundb-samples")
    post_delete.connect(_plan_of_run, sender=Experiment, dispatch_uid="rundb-plan")


def _profile(instance, created, raw=False, **_):
    if created and not raw:
        UserProfile.objects.get_or_create(user=instance)


def _samples_of_run(instance, **_):
    """A sample that only this run used goes with it."""
    for sample in instance.samples.exclude(status="created"):
        alone = not sample.experiments.exclude(pk=instance.pk).exists()
        if alone and not sample.sampleSets.exists():
            Sample.objects.filter(pk=sample.pk).delete()


def _plan_of_run(instance, **_):
    if instance.plan_id is not None:
        PlannedExperiment.objects.filter(pk=instance.plan_id).delete()
