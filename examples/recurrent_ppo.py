"""Trains sb3-contrib's RecurrentPPO, whose LSTM remembers the first stimulus."""

import gymnasium
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

task = {"id": "pwm.envs:pwm/PWM5-v0", "episode_length": 15}
envs = make_vec_env(lambda: gymnasium.make(**task), n_envs=16, seed=0)
whole = {"n_steps": 15, "batch_size": 240, "gamma": 1.0, "gae_lambda": 1.0}  # episodes
model = RecurrentPPO("MlpLstmPolicy", envs, 0.003, n_epochs=4, seed=0, device="cpu", **whole)
model.learn(total_timesteps=80_000)
reward, _ = evaluate_policy(model, envs, n_eval_episodes=100)
print(f"{reward / 5:.2f} of 5 trials are rewarded; without memory, at most 0.625")
